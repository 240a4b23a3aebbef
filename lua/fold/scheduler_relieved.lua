-- There is room again, after so many submissions were turned away.
-- FACT: cause since_ts shed
-- USES: context want bump overload_text
meta.overload[cause] = nil
if next(meta.overload) then
  want('HSET', key.meta, 'overload', overload_text())
else
  want('HDEL', key.meta, 'overload')
end
if shed ~= '0' then
  bump('shed', tonumber(shed))
end
