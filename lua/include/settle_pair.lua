-- USES: context written is_paused
-- Rank a language pair by its first waiting job while some pool could take it and nobody has paused it; otherwise take it
-- off the ranking.
local function settle_pair(pair)
  local src, tgt = match(pair, '^([^:]+):(.+)$')
  local first = rcall('ZRANGE', written(key.waiting(src, tgt)), '0', '0', 'WITHSCORES')
  if first[1] and rcall('EXISTS', key.open(src, tgt)) == 1 and not is_paused(pair) then
    rcall('ZADD', key.ready, first[2], pair)
  else
    rcall('ZREM', key.ready, pair)
  end
end
