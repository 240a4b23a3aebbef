-- USES: context whole move_group settle write_counters
-- Write down where the partition stands now; the last write lowers the fence.
local function close_call()
  settle()
  write_counters()
  if moved then
    move_group(events, meta.watermark, { 'ENTRIESREAD', whole(meta.folded) })
  end
  if beats_moved then
    move_group(heartbeats, meta.heartbeats_watermark, {})
  end
  -- a call that did not reach the tail decided nothing: what it found silent is still to be noticed
  local called_text = whole(meta.last_call_ts)
  if fence then
    rcall('HSET', key.meta, 'watermark', meta.watermark, 'folded', whole(meta.folded), 'last_call_ts', called_text,
      'heartbeats_watermark', meta.heartbeats_watermark, 'done', fence)
  else
    rcall('HSET', key.meta, 'last_call_ts', called_text)
  end
end
