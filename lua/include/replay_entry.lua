-- USES: context fold_event fields_of newer_log heard
-- Fold an entry as it was folded when it was new; what was refused then lets time pass, and nothing else. Returns the
-- refusal where a newer program took over: what stands before is folded, that and everything behind it is not.
local function replay_entry(id, flat, refused)
  local e = fields_of(flat)
  if e.type == 'scheduler.upgraded' and not refused and newer_log(e.fold_version) then
    return newer_log(e.fold_version)
  elseif refused then
    begin_event('events', id)
    bumps.dead = (bumps.dead or 0) + 1
    if e.source_id then
      heard(e)
    end
  else
    fold_event('events', id, e, true)
  end
  meta.watermark, meta.folded = id, meta.folded + 1
end
