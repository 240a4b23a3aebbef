-- USES: context
-- The refusal of a log that a newer version of the folds has taken over: to go on with older ones would ruin its state.
local function newer_log(version)
  if tonumber(version or 1) > limit.fold_version then
    return 'NEWER_LOG the log is folded by version ' .. version .. ', this program folds up to version '
      .. limit.fold_version .. ': upgrade it'
  end
end
