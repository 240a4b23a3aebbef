-- USES: context fields_of not_behind
-- The ids of the log's entries up to `last` that became dead letters when they were new: a replay skips them, so that it
-- never folds what was refused. Dead letters of the log stand in its order, so both are read side by side.
local function buried(last)
  local ids = {}
  while true do
    local letters = rcall('XRANGE', dead, '(' .. meta.dead_cursor, '+', 'COUNT', 100)
    for i = 1, #letters do
      local letter = fields_of(letters[i][2])
      if letter.stream == 'events' then
        if not not_behind(letter.id, last) then
          return ids
        end
        ids[letter.id] = true
      end
      meta.dead_cursor = letters[i][1]
    end
    if #letters < 100 then
      return ids
    end
  end
end
