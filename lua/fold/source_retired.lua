-- A source has been revoked for `node_retention_ms`: it is forgotten, and its ingress goes with what still waits in it. A
-- source that is admitted later, under any name, is taken in from behind the last entry that was taken in of this one: where
-- such an entry is left anywhere, it is not copied twice.
-- FACT: source
local sender, hash = sender_of(source), flush(key.source(source))
if not sender or not sender.revoked or sender.living > 0 then
  return -- decided on a new log whose events now stand behind restored ones: of what these say it knew nothing
end
local behind = rcall('HGET', key.meta, 'sources_fence') or '0-0'
if tonumber(match(sender.last_id, '^%d+')) <= at and not at_or_before(sender.last_id, behind) then
  plan_write('HSET', key.meta, 'sources_fence', sender.last_id)
end
plan_write('DEL', hash, key.source_pools(source), key.kept(source)) -- its pools belong to no source from now on
plan_write('ZREM', key.gone, 'source ' .. source)
if live then
  plan_write('UNLINK', key.ingress(source))
end
forget_sender(source)
