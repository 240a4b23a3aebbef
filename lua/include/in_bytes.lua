-- Whether one text stands before another, byte by byte. `<` asks the locale that the server was started under: the same log
-- would fold to another state on another machine.
local function in_bytes(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end
