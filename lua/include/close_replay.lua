-- USES: context clock_ms whole settle write_counters move_group written
-- Write down how far the replay came. Where it has rebuilt the live state in full, hand the partition back: from here on
-- every node that was online has a full timeout to show itself.
local function close_replay(rebuilt)
  settle()
  write_gathered()
  write_counters()
  rcall('HSET', key.meta, 'watermark', meta.watermark, 'folded', whole(meta.folded), 'dead_cursor', meta.dead_cursor)
  rcall('HDEL', key.meta, 'begin', 'done')
  if rebuilt then
    local back_ts = clock_ms()
    rcall('HDEL', key.meta, 'rebuilding', 'rebuild_until', 'rebuild_from', 'dead_cursor')
    rcall('HSET', key.meta, 'rebuilt_ts', whole(math.max(back_ts, tonumber(match(meta.watermark, '^%d+')))))
    move_group(events, meta.watermark, { 'ENTRIESREAD', whole(meta.folded) })
  end
end
