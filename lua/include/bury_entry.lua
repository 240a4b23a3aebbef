-- USES: context bury fields_of
-- Keep the beginning of an entry that is not taken in at all, with the reason.
local function bury_entry(name, id, flat, detail)
  local head = {}
  for i = 1, math.min(#flat, 2 * limit.source_fields) do
    head[i] = flat[i]:sub(1, limit.id)
  end
  bury('in:' .. name, id, fields_of(head), { code = 'NOT_PERMITTED', detail = 'source ' .. name .. ' ' .. detail })
end
