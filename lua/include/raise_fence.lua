-- USES: context
-- The first write of every call. A script cannot be rolled back: if this mark stands without its twin `done`, the
-- call was torn in between, and the partition is rebuilt from its log. HSET is refused on a full or read-only server,
-- so such a server stops the call before anything has changed.
local function raise_fence(id)
  if not fence then
    rcall('HSET', key.meta, 'begin', id)
    fence = id
  end
end
