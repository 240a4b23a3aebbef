-- USES: context
-- Call visit(src, tgt) for every ordered pair of a pool's languages, given as one text joined by blanks.
local function each_pair(languages, visit)
  for src in gmatch(languages, '[^ ]+') do
    for tgt in gmatch(languages, '[^ ]+') do
      if src ~= tgt then
        visit(src, tgt)
      end
    end
  end
end
