-- From here on a newer version folds the log, as an operator has configured. A fold that changes asks meta.fold_version which
-- way to go.
-- FACT: fold_version
plan_write('HSET', key.meta, 'fold_version', fold_version)
meta.fold_version = tonumber(fold_version)
