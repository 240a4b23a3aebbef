-- USES: context
-- At the tail the log must have taken in exactly as many entries as were folded. Anything else was trimmed, deleted or
-- lost unseen, and nothing may be decided on such a state. Also learns the log's last id. Returns the trouble, or nil.
local function find_gap()
  local added, last = 0, '0-0'
  local about = redis.pcall('XINFO', 'STREAM', events)
  if not about.err then -- there is a log
    for i = 1, #about, 2 do
      if about[i] == 'entries-added' then
        added = about[i + 1]
      elseif about[i] == 'last-generated-id' then
        last = about[i + 1]
      end
    end
  end
  if added ~= meta.folded then
    return 'GAP the log took in ' .. added .. ' entries, ' .. format('%.0f', meta.folded) .. ' were folded (watermark '
      .. meta.watermark .. '): entries were trimmed or deleted unread, or the log was replaced; restore it, then rebuild'
  end
  local ms, seq = match(last, '^(%d+)-(%d+)$')
  last_ms, last_seq = tonumber(ms), tonumber(seq)
  if now < last_ms then
    skew = skew + last_ms - now
    now, now_text = last_ms, ms
  end
end
