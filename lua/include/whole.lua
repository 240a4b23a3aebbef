-- USES: context
-- Write a number the same way on every server: Redis and Valkey print large or broken ones differently. A call writes few
-- different ones again and again, and to print one costs as much as a small command.
local texts = {}
local function whole(number)
  local text = texts[number]
  if not text then
    text = format('%.0f', number)
    if number ~= 0 then -- which has two signs, and is one key
      texts[number] = text
    end
  end
  return text
end
