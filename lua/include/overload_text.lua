-- USES: context whole
-- What there is too much of, in one field of the partition's hash: each field that a call reads costs it something.
local function overload_text()
  local words = {}
  for _, cause in ipairs({ 'lag', 'memory', 'waiting' }) do
    if meta.overload[cause] then
      words[#words + 1] = cause .. '=' .. whole(meta.overload[cause])
    end
  end
  return concat(words, ' ')
end
