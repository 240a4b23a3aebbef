-- USES: context whole move_group settle write_counters written
-- Write down where the partition stands now; the last write lowers the fence. With `rouse` the group's cursor stays
-- where it was, so that the entries behind it wake a worker: there is something to do before it would look by itself.
local function close_call(rouse)
  settle()
  write_gathered()
  write_counters()
  if meta.shed_changed then -- how many were turned away, until the fact is written that says so
    rcall('HSET', key.meta, 'shed', cjson.encode(meta.shed))
  end
  if moved and not rouse then
    move_group(events, meta.watermark, { 'ENTRIESREAD', whole(meta.folded) })
  end
  if beats_moved then
    move_group(heartbeats, meta.heartbeats_watermark, {})
  end
  -- a call that did not reach the tail decided nothing: what it found silent is still to be noticed
  local called_text = whole(meta.last_call_ts)
  if fence then
    rcall('HSET', key.meta, 'watermark', meta.watermark, 'folded', whole(meta.folded), 'last_call_ts', called_text,
      'look_ts', meta.look_ts, 'heartbeats_watermark', meta.heartbeats_watermark, 'done', fence)
  else
    rcall('HSET', key.meta, 'last_call_ts', called_text, 'look_ts', meta.look_ts)
  end
end
