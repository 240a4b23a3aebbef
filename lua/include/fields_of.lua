-- Turn the flat fields of a stream entry into a table. A constructor makes it at its full size; growing costs as much again.
local function fields_of(flat)
  local e, from = {}, 1
  if #flat >= 12 then
    e, from = { [flat[1]] = flat[2], [flat[3]] = flat[4], [flat[5]] = flat[6], [flat[7]] = flat[8], [flat[9]] = flat[10],
      [flat[11]] = flat[12] }, 13
  elseif #flat >= 6 then
    e, from = { [flat[1]] = flat[2], [flat[3]] = flat[4], [flat[5]] = flat[6] }, 7
  end
  for i = from, #flat, 2 do
    e[flat[i]] = flat[i + 1]
  end
  return e
end
