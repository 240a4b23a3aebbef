-- An operator lets a source speak no more. What it has said stands; what waits in its ingress is not taken in.
-- FIELDS: source:source reason?:text request_id?:id
-- USES: context want fail requested_before sender_of
if requested_before(e) then
  return
end
local known = sender_of(source)
if not known then
  fail('UNKNOWN_SOURCE', 'source ' .. source .. ' was never admitted: `streamsched status` lists them')
end
want('HSET', key.source(source), 'revoked', 'true', 'reason', reason or '', 'since_ts', at_text, 'last_id', known.last_id)
want('SREM', key.sources, source)
want('HSET', key.meta, 'sources', id)
meta.sources = id
senders[source] = nil -- to be read anew
