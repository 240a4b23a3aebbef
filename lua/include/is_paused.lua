-- USES: context config
-- Whether an operator has paused a language pair. The configuration, which is read anyway where there is something to
-- dispatch, says whether anything is paused at all; so nobody pays for the question while nothing is.
local function is_paused(pair)
  return config('paused') and rcall('HGET', key.paused, 'pair ' .. pair) and true
end
