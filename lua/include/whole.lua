-- USES: context
-- Write a number the same way on every server: Redis and Valkey print large or broken ones differently. A call writes few
-- different ones again and again, and to print one costs as much as a small command.
local texts = {}
local function whole(number)
  local text = texts[number]
  if not text then
    text = format('%.0f', number)
    texts[number] = text
  end
  return text
end
