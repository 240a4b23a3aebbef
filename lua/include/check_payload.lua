-- USES: check_utf8
-- Bytes that only the node reads: bounded and UTF-8, never parsed here.
local function check_payload(field, value)
  return check_utf8(field, value, limit.payload)
end
