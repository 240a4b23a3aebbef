-- An operator has seen a dead letter and wants nothing done about it: it is listed no more. What it is about stays refused.
-- FIELDS: letter:entry reason?:text
-- USES: context want
if rcall('HEXISTS', key.letters, letter) == 0 then
  want('HSET', key.letters, letter, 'dropped ' .. id)
end
