-- The end of a call: what it knows is written, and the fence comes down.

-- Put the cursor of the consumer group where the watermark is, so that XINFO GROUPS shows the true lag.
local function move_group(stream, id, read)
  local reply = redis.pcall('XGROUP', 'SETID', stream, key.group, id, unpack(read))
  if reply.err then
    rcall('XGROUP', 'CREATE', stream, key.group, id, 'MKSTREAM', unpack(read))
  end
end

-- Note when something falls due that this call has put on a timer: a worker that would look later has to wake up. Takes and
-- returns ms since the epoch as text.
local soonest_ts = math.huge
local function note_due(ts_text)
  soonest_ts = math.min(soonest_ts, tonumber(ts_text))
  return ts_text
end

-- When something falls due next, in ms since the epoch; '' if nothing will.
local function next_due()
  local next_ts = math.huge
  for _, queue in ipairs({ flush(key.timers), key.deadlines, key.expiry }) do
    local first = rcall('ZRANGE', queue, '0', '0', 'WITHSCORES')
    next_ts = math.min(next_ts, tonumber(first[2] or math.huge))
  end
  return next_ts < math.huge and format_int(next_ts) or ''
end

-- Write down where the partition stands now; the last write lowers the fence. With `rouse` the group's cursor stays
-- where it was, so that the entries behind it wake a worker: there is something to do before it would look by itself.
local function close_call(rouse)
  reindex()
  flush_all()
  write_counters()
  if meta.shed_changed then -- how many submissions were shed, until a fact says it
    rcall('HSET', key.meta, 'shed', cjson.encode(meta.shed))
  end
  if moved and not rouse then
    move_group(events, meta.watermark, { 'ENTRIESREAD', format_int(meta.folded) })
  end
  if beats_moved then
    move_group(heartbeats, meta.heartbeats_watermark, {})
    -- no replay needs a beat; a caller without the right leaves it to others
    redis.pcall('XTRIM', heartbeats, 'MINID', '~', meta.heartbeats_watermark)
  end
  -- a call that did not reach the tail decided nothing: the silence that it found has still to be noticed
  local called_text = format_int(meta.last_call_ts)
  if fence then
    rcall('HSET', key.meta, 'watermark', meta.watermark, 'folded', format_int(meta.folded), 'last_call_ts', called_text,
      'look_ts', meta.look_ts, 'heartbeats_watermark', meta.heartbeats_watermark, 'done', fence)
  else
    rcall('HSET', key.meta, 'last_call_ts', called_text, 'look_ts', meta.look_ts)
  end
end
