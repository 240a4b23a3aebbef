-- Dead letters that an operator has handled.

-- Note that an event retries or drops a letter. Returns true where that was done before, and changes nothing: a retry takes effect
-- once, and a letter that was retried is not dropped. The latest letters are remembered, so that the state does not grow with
-- every one there ever was.
local function handle_letter(letter, how, id)
  local handled = rcall('HGET', key.letters, letter)
  if handled and (how == 'dropped' or find(handled, 'retried', 1, true)) then
    return true
  elseif not handled then
    local over = rcall('ZCOUNT', key.handled, '-inf', '+inf') + 1 - limit.letters
    if over > 0 then -- two, where the event before handled two letters: it dropped one, and was itself the retry of one
      local oldest = rcall('ZRANGE', key.handled, '0', over > 1 and '1' or '0')
      plan_write('HDEL', key.letters, unpack(oldest))
      plan_write('ZREM', key.handled, unpack(oldest))
    end
    plan_write('ZADD', key.handled, at_text, letter)
    bump('letters_handled')
  end
  plan_write('HSET', key.letters, letter, how .. ' ' .. id)
  return false
end
