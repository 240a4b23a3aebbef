-- An operator lets somebody speak who must not write to the log: what stands in its ingress is taken in from now on.
-- FIELDS: source:source role:role node_id?:id rate?:amount size?:amount backlog?:amount priority?:priority reason?:text request_id?:id
-- USES: context want fail requested_before sender_of
if requested_before(e) then
  return
end
if (role == 'node') ~= (node_id ~= nil) then
  fail('INVALID_FIELD', role == 'node' and 'node_id is missing: name the one node that the source speaks for'
    or 'node_id does not go with role producer: leave it out')
end
local known = sender_of(source)
local hash = key.source(source)
want('HSET', hash, 'role', role, 'node_id', node_id or '', 'revoked', 'false', 'rate', rate or limit.source_rate, 'size',
  size or limit.source_size, 'backlog', backlog or limit.source_backlog, 'priority', priority or 0, 'reason', reason or '',
  'since_ts', at_text, 'last_id', known and known.last_id or '0-0')
want('SADD', key.sources, source)
want('HSET', key.meta, 'sources', id)
meta.sources = id
senders[source] = nil -- to be read anew
