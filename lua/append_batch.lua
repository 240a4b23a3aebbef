-- Append many submissions to the log, and leave it to the next call to fold them: their sender waits for no answer to each.
-- KEYS: events
-- ARGV: prefix own
-- `own` is a JSON list with each event as a flat list of texts. Replies the id of the last one, or refuses all of them: where
-- one is no event, where the state is not whole, where the server's memory is nearly full, or where more is unfolded than may be.
local flats, problems = read_events(own)
if not flats then
  return redis.error_reply(problems)
end
for n = 1, #flats do
  if problems[n] then
    return redis.error_reply('INVALID_FIELD event ' .. n .. ' of the batch: ' .. problems[n] .. '; nothing was appended')
  end
end
local v = fields_of(rcall('HGETALL', key.meta))
local refusal = why_not_whole(v)
if refusal then
  return redis.error_reply(refusal)
end
meta = { overload = overload_of(v.overload), shed = v.shed and cjson.decode(v.shed) or {} }
now = clock_ms()
local about = redis.pcall('XINFO', 'STREAM', events)
local ahead = about.err and 0 or fields_of(about)['entries-added'] - tonumber(v.folded or 0)
local scarce = meta.overload.memory and 'memory' or ahead > config('max_lag') and 'lag'
if scarce then
  if scarce == 'lag' then
    note_lag(ahead)
  end
  local detail = shed_submission(scarce, now)
  meta.shed[scarce] = meta.shed[scarce] + #flats - 1
  rcall('HSET', key.meta, 'shed', cjson.encode(meta.shed))
  return redis.error_reply('OVERLOADED ' .. detail)
end
local id = ''
for i = 1, #flats do
  id = rcall('XADD', events, '*', unpack(flats[i]))
end
return id
