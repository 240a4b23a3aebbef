-- Too much has come in: submissions are turned away from here on.
-- FACT: cause measured bound
-- USES: context want overload_text
meta.overload[cause] = at
want('HSET', key.meta, 'overload', overload_text())
