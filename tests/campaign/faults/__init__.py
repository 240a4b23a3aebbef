"""Every fault of the campaign: one small class each, in :data:`~tests.campaign.faults.table.FAULTS`."""
