-- USES: context fields_of
-- How far the state had been folded before it was damaged: facts up to there are the scheduler's own, and a rebuild takes
-- them as such; what stands behind is new to whoever folds it, and a decision among it is forged, or of a call that was
-- torn and never took effect. Where the watermark is lost with the rest, the group's cursor says it; where there never
-- was one, nothing had been folded.
local function folded_up_to()
  local watermark = rcall('HGET', key.meta, 'watermark')
  if watermark then
    return watermark
  end
  local groups = rcall('EXISTS', events) == 1 and rcall('XINFO', 'GROUPS', events) or {}
  for i = 1, #groups do
    local group = fields_of(groups[i])
    if group.name == 'fold' then
      return group['last-delivered-id']
    end
  end
  return '0-0'
end
