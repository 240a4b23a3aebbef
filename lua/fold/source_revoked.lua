-- An operator revokes a source. Its events stand; what waits in its ingress is not taken in.
-- FIELDS: source:source reason?:text request_id?:id
-- ONCE: -
local known = sender_of(source)
if not known then
  refuse_event('UNKNOWN_SOURCE', 'source ' .. source .. ' was never admitted, or is retired: `streamsched status` lists them')
end
plan_write('HSET', key.source(source), 'revoked', 'true', 'reason', reason or '', 'since_ts', at_text, 'last_id', known.last_id)
plan_write('SREM', key.sources, source)
plan_write('ZADD', key.gone, at_text, 'source ' .. source)
plan_write('HSET', key.meta, 'sources', id)
meta.sources = id
forget_sender(source)
