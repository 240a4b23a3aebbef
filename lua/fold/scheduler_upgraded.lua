-- A newer version of the folds has taken over. A fold that changes its mind asks meta.fold_version which way to go.
-- FACT: fold_version
-- USES: context want
want('HSET', key.meta, 'fold_version', fold_version)
meta.fold_version = tonumber(fold_version)
