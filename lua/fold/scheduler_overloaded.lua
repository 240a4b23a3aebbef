-- Too much has come in: submissions are shed from here on.
-- FACT: cause measured bound
meta.overload[cause] = at
plan_write('HSET', key.meta, 'overload', overload_text())
