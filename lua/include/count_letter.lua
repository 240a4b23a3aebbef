-- USES: context
-- Count a dead letter by its code, beside the letters themselves: a rebuild leaves both where they are. What is a letter of
-- before, refused once more, is one thing to see to and not two. Counting must not hold up the log: where something else
-- lives under the key, nothing is counted.
local function count_letter(stream, e, code, by)
  if stream == 'events' and e.retry_of and find(e.retry_of, '^%d+%-%d+$') then
    code = 'again'
  end
  redis.pcall('HINCRBY', key.dead_codes, code, by)
end
