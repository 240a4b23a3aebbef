-- Trim the oldest dead letters: only archived ones, and never one about an entry that a replay of the log would meet.
-- KEYS: events dead
-- ARGV: prefix batch:count archived:entry keep:number archiver:word
-- `archived` is the id of the last letter that is safely on disk; the latest `keep` letters stay, for a reader without an
-- archive; `archiver` is the archiver's token (trim_log.lua). Replies {trimmed, more}.
local refusal = why_not_trimmed(archiver)
if refusal then
  return redis.error_reply(refusal)
end
local spare = math.min(tonumber(batch), rcall('XLEN', dead) - tonumber(keep))
if spare <= 0 or #rcall('XRANGE', dead, archived, archived) == 0 then
  return { 0, 0 } -- without the last archived letter it is another history, or one that is being mended
end
local first = rcall('XRANGE', events, '-', '+', 'COUNT', 1)
local last, met
local others = {}
left = spare
repeat
  local asked = math.min(left, limit.read)
  local letters = rcall('XRANGE', dead, last and '(' .. last or '-', archived, 'COUNT', asked)
  for i = 1, take(letters) do
    local letter = fields_of(letters[i][2])
    met = letter.stream == 'events' and first[1] and at_or_before(first[1][1], letter.id)
    if met then
      break
    end
    last = letters[i][1]
    others[#others + 1] = letter.stream ~= 'events' and letters[i][2] or nil
  end
until met or left <= 0 or #letters < asked
if not last then
  return { 0, 0 }
end
local trimmed = rcall('XTRIM', dead, 'MINID', '=', next_id(last)) -- first: it is allowed on a server out of memory
redis.pcall('HINCRBY', key.dead_codes, 'trimmed', trimmed)
for i = 1, #others do
  discount_letter(others[i])
end
return { trimmed, not met and left <= 0 and 1 or 0 }
