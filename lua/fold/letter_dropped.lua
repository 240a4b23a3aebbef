-- An operator has seen a dead letter and wants nothing done about it: it is listed no more. What it is about stays refused.
-- Where it is itself that letter once more, it is a retry like any other.
-- FIELDS: letter:entry reason?:text
-- USES: context want
if letter ~= e.retry_of and rcall('HEXISTS', key.letters, letter) == 0 then
  want('HSET', key.letters, letter, 'dropped ' .. id)
end
