-- USES: context
-- Write a number the same way on every server: Redis and Valkey print large or broken ones differently. A call writes few
-- different ones again and again, and to print one costs as much as a small command; half of that where it fits into 32 bits.
local texts = {}
local function whole(number)
  local text = texts[number]
  if not text then
    text = format(number >= 0 and number < 2147483648 and number % 1 == 0 and '%d' or '%.0f', number)
    texts[number] = text
  end
  return text
end
