-- An operator admits a source, which may not append to the log itself: the entries of its ingress are taken in from now on.
-- FIELDS: source:source role:role node_id?:id rate?:amount size?:amount backlog?:amount priority?:priority jobs?:amount bytes?:amount max_age_ms?:bound pools?:text reason?:text request_id?:id
-- ONCE: -
if (role == 'node') ~= (node_id ~= nil) then
  refuse_event('INVALID_FIELD', role == 'node' and 'node_id is missing: name the one node that the source reports for'
    or 'node_id does not go with role producer: leave it out')
end
if pools and pools ~= '*' and not find(pools, '^[%w._,-]+$') then
  refuse_event('INVALID_FIELD', 'pools ' .. format('%q', pools) .. ' is no list of ids: join them by commas, or give * for any')
end
local known = sender_of(source)
local hash = key.source(source)
plan_write('HSET', hash, 'role', role, 'node_id', node_id or '', 'revoked', 'false', 'rate', rate or limit.source_rate,
  'size', size or limit.source_size, 'backlog', backlog or limit.source_backlog, 'priority', priority or 0,
  'jobs', jobs or limit.source_jobs, 'bytes', bytes or limit.source_bytes, 'max_age_ms', max_age_ms or limit.source_age_ms, 'pools', pools or '',
  'reason', reason or '',
  'since_ts', at_text, 'last_id',
  known and known.last_id or rcall('HGET', key.meta, 'sources_fence') or '0-0')
plan_write('SADD', key.sources, source)
plan_write('ZREM', key.gone, 'source ' .. source, 'jobs ' .. source) -- its jobs that are not cancelled yet go on
plan_write('HSET', key.meta, 'sources', id)
meta.sources = id
forget_sender(source)
