-- USES: context
-- What overload_text has written: since when there is too much of what.
local function overload_of(text)
  local since = {}
  for cause, since_ts in gmatch(text or '', '(%a+)=(%d+)') do
    since[cause] = tonumber(since_ts)
  end
  return since
end
