-- USES: context
-- The watermark of a state that is neither torn nor being rebuilt; nil of one that is, or that has not begun.
local function is_whole()
  local v = rcall('HMGET', key.meta, 'watermark', 'rebuilding', 'begin', 'done')
  if v[1] and not v[2] and v[3] == v[4] then
    return v[1]
  end
end
