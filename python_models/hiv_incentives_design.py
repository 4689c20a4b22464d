def model(dbt, session):
    dbt.config(materialized="table", schema="studies")
    from estimators import design

    return design(
        "hiv_incentives",
        dbt.config.meta_get("study"),
        units=dbt.ref("hiv_incentives_units"),
        session=session,
        scores=dbt.ref("hiv_incentives_scores"),
    )
