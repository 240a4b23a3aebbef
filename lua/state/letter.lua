-- Dead letters that an operator has handled.

-- Note by which event a letter was retried or dropped. The latest are remembered, so that the state does not grow with every
-- letter there ever was.
local function note_handled(letter, how)
  if rcall('HEXISTS', key.letters, letter) == 0 then
    if rcall('LLEN', key.handled) >= limit.letters then
      plan_write('HDEL', key.letters, rcall('LINDEX', key.handled, '0'))
      plan_write('LPOP', key.handled)
    end
    plan_write('RPUSH', key.handled, letter)
    bump('letters_handled')
  end
  plan_write('HSET', key.letters, letter, how)
end
