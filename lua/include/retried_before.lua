-- USES: context want check_entry
-- Whether this dead letter was folded before, as an event that names it; if not, the event of `id` is the one that does.
local function retried_before(letter, id)
  check_entry('retry_of', letter)
  local handled = rcall('HGET', key.letters, letter)
  if handled and find(handled, 'retried', 1, true) then
    return true
  end
  want('HSET', key.letters, letter, 'retried ' .. id)
  return false
end
