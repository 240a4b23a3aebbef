-- USES: context decide
-- Record that from here on a newer version of the folds is at work; what stands before was folded by the older one.
local function upgrade()
  if meta.fold_version < limit.fold_version then
    decide('scheduler.upgraded', 'fold_version', limit.fold_version)
  end
end
