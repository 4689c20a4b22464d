def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import estimate

    return estimate(
        "duplicate_units",
        dbt.config.meta_get("study"),
        units=dbt.ref("duplicate_units_units"),
        scores=dbt.ref("duplicate_units_scores"),
        gates=dbt.ref("duplicate_units_gates"),
        session=session,
    )
