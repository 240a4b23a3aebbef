-- USES: context
-- Write a number the same way on every server: Redis and Valkey print large or broken ones differently.
local function whole(number)
  return format('%.0f', number)
end
