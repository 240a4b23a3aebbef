-- Dead letters that an operator has handled.

-- Note that an event retries or drops a letter. Returns true where that was done before, and changes nothing: a retry takes effect
-- once, and a letter that was retried is not dropped. The latest letters are remembered, so that the state does not grow with
-- every one there ever was.
local function handle_letter(letter, how, id)
  local handled = rcall('HGET', key.letters, letter)
  if handled and (how == 'dropped' or find(handled, 'retried', 1, true)) then
    return true
  elseif not handled then
    if rcall('LLEN', key.handled) >= limit.letters then
      plan_write('HDEL', key.letters, rcall('LINDEX', key.handled, '0'))
      plan_write('LPOP', key.handled)
    end
    plan_write('RPUSH', key.handled, letter)
    bump('letters_handled')
  end
  plan_write('HSET', key.letters, letter, how .. ' ' .. id)
  return false
end
