"""Measuring what the parts of a network cost here, and predicting what they cost elsewhere.

``measure.profile`` is the way in: it prepares the network, shortlists cuts, times every span
in a child process and returns a :class:`~edgeplan.model.profile.Profile`; ``columns`` does so
for jobs of several requests.
``predict.predict`` carries such a profile over to a device of the catalogue.
"""
