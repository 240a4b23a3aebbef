-- There is room again, after so many submissions were shed.
-- FACT: cause since_ts shed
meta.overload[cause] = nil
if next(meta.overload) then
  plan_write('HSET', key.meta, 'overload', overload_text())
else
  plan_write('HDEL', key.meta, 'overload')
end
if shed ~= '0' then
  bump('shed', tonumber(shed))
end
