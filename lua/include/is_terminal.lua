-- Whether the job has ended; an ended job never changes again.
local function is_terminal(status)
  return status == 'finished' or status == 'failed' or status == 'cancelled' or status == 'expired' or status == 'refused'
end
