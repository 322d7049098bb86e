-- claimtracking.DateTimeEntry is named like an entry time and updates itself on every write: it is the replication key.
CREATE TABLE `claimtracking` (
  `ClaimTrackingNum` bigint(20) NOT NULL AUTO_INCREMENT,
  `ClaimNum` bigint(20) NOT NULL,
  `TrackingType` varchar(255) NOT NULL,
  `UserNum` bigint(20) NOT NULL,
  `DateTimeEntry` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `Note` text NOT NULL,
  `TrackingDefNum` bigint(20) NOT NULL,
  `TrackingErrorDefNum` bigint(20) NOT NULL,
  PRIMARY KEY (`ClaimTrackingNum`),
  KEY `ClaimNum` (`ClaimNum`)
) ENGINE=MyISAM;

INSERT INTO `claimtracking` (`ClaimNum`, `TrackingType`, `UserNum`, `Note`, `TrackingDefNum`, `TrackingErrorDefNum`)
SELECT seq, 'StatusHistory', 1, REPEAT('n', 1000), 0, 0 FROM seq_1_to_1500;
