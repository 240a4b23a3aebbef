-- Refuse the event being folded: it becomes a dead letter with this code, and leaves no other trace.
local function fail(code, detail)
  error({ code = code, detail = detail }, 0)
end
