-- Who may trim.

-- Why an archiver may not trim: the state is not whole, or another one has taken over since it began. Returns the refusal, or
-- nil. With a claim that was lost with the partition's hash, all may, and the first that trims has it.
local function why_not_trimmed(archiver, takes_over)
  if not whole_watermark() then
    return 'REBUILDING the state is not whole: nothing is trimmed until it is'
  end
  local v = rcall('HMGET', key.meta, 'archiver', 'archive')
  if v[1] and v[1] ~= archiver and not takes_over then
    return 'ARCHIVE_LOCKED another archiver took over: it archives to ' .. (v[2] or '?') .. '; run one archiver for a partition'
  end
end
