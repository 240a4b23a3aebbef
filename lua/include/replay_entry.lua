-- USES: context fold_event fields_of
-- Fold an entry as it was folded when it was new; what was refused then lets time pass, and nothing else.
local function replay_entry(id, flat, refused)
  if refused then
    begin_event('events', id)
    bumps.dead = (bumps.dead or 0) + 1
  else
    fold_event('events', id, fields_of(flat), true)
  end
  meta.watermark, meta.folded = id, meta.folded + 1
end
