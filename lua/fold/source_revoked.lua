-- An operator revokes a source. Its events stand; what waits in its ingress is not taken in. With `cancel` its jobs are cancelled, too.
-- FIELDS: source:source cancel?:flag reason?:text request_id?:id
-- ONCE: -
local known = sender_of(source)
if not known then
  refuse_event('UNKNOWN_SOURCE', 'source ' .. source .. ' was never admitted, or is retired: `streamsched status` lists them')
end
plan_write('HSET', key.source(source), 'revoked', 'true', 'reason', reason or '', 'since_ts', at_text, 'last_id', known.last_id)
plan_write('SREM', key.sources, source)
plan_write('ZADD', key.gone, at_text, 'source ' .. source)
if cancel == 'true' and known.living > 0 then
  plan_write('ZADD', key.gone, '0', 'jobs ' .. source)
end
plan_write('HSET', key.meta, 'sources', id)
meta.sources = id
forget_sender(source)
